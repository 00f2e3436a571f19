namespace Runsc.Shim.Tasks;

/// <summary>containerd.v1.types.Status.</summary>
internal enum TaskStatus
{
    Unknown = 0,
    Created = 1,
    Running = 2,
    Stopped = 3,
    Paused = 4,
}

namespace Runsc.NetStack.Link;

/// <summary>What reads and writes the frames of a <see cref="TunDevice"/>.</summary>
internal interface ITunProgram
{
    /// <summary>There may be frames to read, or the interface went up, down or away. Called with no lock held.</summary>
    void OnChange();
}

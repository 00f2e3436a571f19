using Runsc.Sentry.Kernel.Aio;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Asynchronous input and output of a task (io_submit(2)): its queues belong to its address space. Own thread.</summary>
internal sealed partial class Task
{
    private AioContexts? _aio;

    /// <summary>Made when first needed.</summary>
    public AioContexts Aio => _aio ??= new AioContexts(Kernel);

    /// <summary>clone(2): a thread shares them, a copy of the address space has none.</summary>
    private void ShareAioWith(Task child, bool sharesMemory)
    {
        if (sharesMemory)
        {
            child._aio = Aio.IncUsers();
        }
    }

    private void ReleaseAio()
    {
        _aio?.DecUsers();
        _aio = null;
    }
}

using System.Collections.Concurrent;
using System.Collections.Generic;
using Runsc.Sentry.Kernel.Terminals;

namespace Runsc.Sentry.Kernel;

internal sealed partial class SentryKernel
{
    private readonly ConcurrentDictionary<string, Terminal> _consoles = new();

    /// <summary>The terminal that a container was started with (/dev/console); null when it has none.</summary>
    public Terminal? FindConsole(string container) => CollectionExtensions.GetValueOrDefault(_consoles, container);

    public void SetConsole(string container, Terminal console) => _consoles[container] = console;
}

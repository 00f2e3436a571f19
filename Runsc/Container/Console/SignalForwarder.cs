using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Common;
using Runsc.Linux;

namespace Runsc.Container.Console;

/// <summary>Passes the signals that an attached command gets on to the container's process, instead of ending the command.</summary>
internal sealed class SignalForwarder : IDisposable
{
    private static readonly int[] s_signals =
        [Signal.SIGHUP, Signal.SIGINT, Signal.SIGQUIT, Signal.SIGTERM, Signal.SIGUSR1, Signal.SIGUSR2, Signal.SIGALRM, Signal.SIGCONT];

    private readonly List<PosixSignalRegistration> _registrations = [];

    public SignalForwarder(Action<int> send)
    {
        foreach (int signal in s_signals)
        {
            // Numbers are taken as they are, beside the enumeration's own negative ones.
            _registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
            {
                context.Cancel = true;
                try
                {
                    send(signal);
                }
                catch (RunscException error)
                {
                    // It has just ended: the command ends with it.
                    Log.Debug($"signal {signal} was not forwarded: {error.Message}");
                }
            }));
        }
    }

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());
}

using System;
using System.Diagnostics.CodeAnalysis;

namespace Runsc.Platform.Kvm;

/// <summary>States that only a bug of ours or of the host can produce.</summary>
internal static class KvmFailure
{
    [DoesNotReturn]
    public static void Fatal(string message) => Environment.FailFast(message);

    public static void Report(string message) => Console.Error.WriteLine(message);
}

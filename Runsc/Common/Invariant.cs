using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Runsc.Common;

/// <summary>For states that cannot be: the process ends at once, with a message and a stack in the log.</summary>
internal static class Invariant
{
    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fail(string message) => Environment.FailFast(message);
}

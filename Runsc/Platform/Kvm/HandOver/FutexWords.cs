using System.Runtime.InteropServices;

namespace Runsc.Platform.Kvm.HandOver;

/// <summary>Words that threads spin and sleep on, each in a cache line of its own. Freed by NativeMemory.AlignedFree.</summary>
internal static unsafe class FutexWords
{
    /// <summary>Rounds of some 20 ns before a side sleeps: about what a wake-up on another processor costs.</summary>
    public const int Spin = 1000;

    private const int Line = 64;

    /// <summary>Zeroed words.</summary>
    public static int* Allocate(int count)
    {
        void* words = NativeMemory.AlignedAlloc((nuint)(count * Line), Line);
        NativeMemory.Clear(words, (nuint)(count * Line));
        return (int*)words;
    }

    public static int* At(int* words, int index) => (int*)((byte*)words + (index * Line));
}

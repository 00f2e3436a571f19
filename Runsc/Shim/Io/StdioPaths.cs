namespace Runsc.Shim.Io;

/// <summary>Where a process's standard input, output and error are, as containerd says: paths of fifos, URIs (fifo:, file:, binary:), or nothing.</summary>
internal sealed record StdioPaths(string Stdin, string Stdout, string Stderr, bool Terminal);

using Runsc.Linux;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>What became of a message of a batch.</summary>
/// <param name="Offset">Where the message is in the datagram.</param>
/// <param name="Error">None where it was applied.</param>
/// <param name="BadAttribute">Where the attribute that the error is about is in the message, or 0.</param>
internal readonly record struct NetfilterResult(int Offset, Errno Error, int BadAttribute);

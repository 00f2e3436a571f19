namespace Runsc.NetStack.Wire;

/// <summary>One block of a SACK option (RFC 2018): sequence numbers from <see cref="Start"/> to before <see cref="End"/>.</summary>
internal readonly record struct SackBlock(uint Start, uint End);

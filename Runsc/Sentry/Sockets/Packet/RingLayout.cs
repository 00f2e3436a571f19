namespace Runsc.Sentry.Sockets.Packet;

/// <summary>The shape of a ring, checked: PACKET_VERSION, sizes in bytes of blocks and frames, the number of blocks, and PACKET_RESERVE.</summary>
internal readonly record struct RingLayout(int Version, int BlockSize, int Blocks, int FrameSize, int Reserve);

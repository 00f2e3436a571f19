namespace Runsc.Sentry.Sockets;

/// <summary>A user, and how many descriptors it may have in flight (RLIMIT_NOFILE, or as many as it likes).</summary>
internal readonly record struct FlightLimits(uint User, ulong Maximum);

using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel;

/// <summary>Makes a file system for mount(2): the network namespace of who mounts it, its source and its options (a comma-separated list). EINVAL for options that it does not know.</summary>
internal delegate Errno FileSystemMaker(SentryKernel kernel, NetworkNamespace network, ReadOnlySpan<byte> source, string options, out SuperBlock? super);

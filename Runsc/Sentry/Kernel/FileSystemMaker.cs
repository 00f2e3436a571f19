using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel;

/// <summary>Makes a file system for mount(2): who mounts it, its source and its options (a comma-separated list). EINVAL for options that it does not know, and for ids that are not mapped.</summary>
internal delegate Errno FileSystemMaker(SentryKernel kernel, ICaller caller, ReadOnlySpan<byte> source, string options, out SuperBlock? super);

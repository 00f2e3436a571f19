using System;
using System.Buffers.Binary;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>The capabilities that a program file gives (capabilities(7), "File capabilities"): the extended attribute security.capability.</summary>
internal readonly record struct FileCapabilities(bool Exist, ulong Permitted, ulong Inheritable, bool MakesEffective)
{
    // struct vfs_cap_data: a word of revision and flag, then pairs of permitted and inheritable halves; revision 3 ends with a root user id.
    private const int Revision1Size = 12, Revision2Size = 20, Revision3Size = 24;
    private const uint Revision1 = 0x0100_0000, Revision2 = 0x0200_0000, Revision3 = 0x0300_0000, RevisionMask = 0xff00_0000, EffectiveFlag = 1;

    /// <summary>None when the file has none, or some that make no sense: the attribute may be anybody's on a volume.</summary>
    public static FileCapabilities Read(Inode inode, UserNamespace users)
    {
        Span<byte> value = stackalloc byte[Revision3Size];
        long size = inode.GetXattr("security.capability"u8, value);
        if (size < Revision1Size)
        {
            return default;
        }

        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(value);
        bool isKnown = (magic & RevisionMask, size) switch
        {
            (Revision1, Revision1Size) or (Revision2, Revision2Size) => true,

            // For a user namespace with that root, and those below.
            (Revision3, Revision3Size) => IsRoot(BinaryPrimitives.ReadUInt32LittleEndian(value[20..]), users),
            _ => false,
        };
        if (!isKnown)
        {
            return default;
        }

        ulong permitted = BinaryPrimitives.ReadUInt32LittleEndian(value[4..]), inheritable = BinaryPrimitives.ReadUInt32LittleEndian(value[8..]);
        if (size > Revision1Size)
        {
            permitted |= (ulong)BinaryPrimitives.ReadUInt32LittleEndian(value[12..]) << 32;
            inheritable |= (ulong)BinaryPrimitives.ReadUInt32LittleEndian(value[16..]) << 32;
        }

        return new FileCapabilities(true, permitted & Credentials.AllCapabilities, inheritable & Credentials.AllCapabilities, (magic & EffectiveFlag) != 0);
    }

    private static bool IsRoot(uint id, UserNamespace users)
    {
        for (UserNamespace? at = users; at is not null; at = at.Parent)
        {
            if (at.Uids.FromKernel(id) == 0)
            {
                return true;
            }
        }

        return false;
    }
}

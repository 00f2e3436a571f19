using System;
using System.Text;
using Runsc.Linux;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>NETLINK_GENERIC: the controller, which is the only family there is, and its list of families.</summary>
internal static class GenericFamily
{
    private const int Controller = 16;
    private const string ControllerName = "nlctrl";

    // struct genlmsghdr: command, version, reserved.
    private const int HeaderSize = 4;
    private const byte NewFamily = 1, GetFamily = 3;
    private const int FamilyId = 1, FamilyName = 2, Version = 3, HeaderLength = 4, MaximumAttribute = 5, Operations = 6, OperationId = 1, OperationFlags = 2;

    /// <summary>ENOENT for families that are not there, EOPNOTSUPP for other commands.</summary>
    public static Errno Answer(in NetlinkRequest request, bool isDump, NetlinkWriter writer)
    {
        if (request.Type != Controller)
        {
            return Errno.ENOENT;
        }

        if (request.Body.Length < HeaderSize)
        {
            return Errno.EINVAL;
        }

        if (request.Body[0] != GetFamily)
        {
            return Errno.EOPNOTSUPP;
        }

        if (!isDump)
        {
            ReadOnlySpan<byte> id = request.Attribute(HeaderSize, FamilyId);
            string name = request.GetText(HeaderSize, FamilyName);
            if (id.Length < 2 && name.Length == 0)
            {
                return Errno.EINVAL;
            }

            if ((id.Length >= 2 && BitConverter.ToUInt16(id) != Controller) || (name.Length > 0 && name != ControllerName))
            {
                return Errno.ENOENT;
            }
        }

        Write(isDump, writer);
        return Errno.None;
    }

    private static void Write(bool isDump, NetlinkWriter writer)
    {
        const uint hasDump = 4, hasDo = 2;
        writer.Begin(Controller, isDump ? NetlinkWriter.Multi : 0);
        writer.Add(NewFamily);
        writer.Add((byte)2);
        writer.Add((ushort)0);
        writer.Attribute(FamilyName, Encoding.Latin1.GetBytes(ControllerName + "\0"));
        Span<byte> number = stackalloc byte[2];
        BitConverter.TryWriteBytes(number, (ushort)Controller);
        writer.Attribute(FamilyId, number);
        writer.Attribute(Version, 2u);
        writer.Attribute(HeaderLength, 0u);
        writer.Attribute(MaximumAttribute, 10u);

        // One operation, in two levels of nests: its index, then its number and flags.
        int operations = writer.BeginNest(Operations);
        int first = writer.BeginNest(1);
        writer.Attribute(OperationId, (uint)GetFamily);
        writer.Attribute(OperationFlags, hasDump | hasDo);
        writer.EndNest(first);
        writer.EndNest(operations);
        writer.End();
    }
}

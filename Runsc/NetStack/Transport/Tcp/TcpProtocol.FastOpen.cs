using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Cookies of fast open (RFC 7413): those that this host gives, and those that peers gave it.</summary>
internal sealed partial class TcpProtocol
{
    private const int CookieSize = 8;
    private const int MaximumCookies = 1024;

    // What peers gave us; bounded, the whole is forgotten when it is full.
    private readonly Dictionary<IpAddress, Cookie> _cookies = [];

    internal bool HasFastOpenCookie(in IpAddress remote) =>
        (Parameters.FastOpen & 1) != 0 && _cookies.TryGetValue(remote, out Cookie cookie) && cookie.Length > 0;

    /// <summary>Puts the peer's cookie into a SYN, or asks for one.</summary>
    internal void FillFastOpen(in IpAddress remote, ref TcpOptions options)
    {
        options.HasFastOpen = true;
        if (_cookies.TryGetValue(remote, out Cookie cookie))
        {
            options.CookieLength = cookie.Length;
            options.Cookie = cookie.Bytes;
        }
    }

    internal void TakeFastOpen(in IpAddress remote, in TcpOptions options, bool dropped)
    {
        if (dropped)
        {
            // SYNs with data do not get through.
            _cookies.Remove(remote);
        }
        else if (options.HasFastOpen && options.CookieLength > 0)
        {
            if (_cookies.Count >= MaximumCookies)
            {
                _cookies.Clear();
            }

            _cookies[remote] = new Cookie { Length = options.CookieLength, Bytes = options.Cookie };
        }
    }

    internal void ForgetFastOpen(in IpAddress remote) => _cookies.Remove(remote);

    internal bool IsFastOpenCookie(in IpAddress remote, in IpAddress local, in TcpOptions options) =>
        options.CookieLength == CookieSize
        && BinaryPrimitives.ReadUInt64BigEndian(options.Cookie) == FastOpenHash.Hash(local, 0, remote, 0);

    internal void WriteFastOpenCookie(in IpAddress remote, in IpAddress local, ref TcpOptions options)
    {
        options.HasFastOpen = true;
        options.CookieLength = CookieSize;
        BinaryPrimitives.WriteUInt64BigEndian(options.Cookie, FastOpenHash.Hash(local, 0, remote, 0));
    }

    private struct Cookie
    {
        public int Length;
        public TcpOptions.CookieBytes Bytes;
    }
}

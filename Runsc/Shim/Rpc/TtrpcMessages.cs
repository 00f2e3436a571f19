using System;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Rpc;

/// <summary>The data of a request frame: which method of which service, with what. Metadata are not used here.</summary>
internal sealed record TtrpcRequest(string Service, string Method, byte[] Payload)
{
    public static TtrpcRequest Read(ReadOnlySpan<byte> data)
    {
        string service = "", method = "";
        byte[] payload = [];
        WireReader reader = new(data);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: service = reader.Text(); break;
                case 2: method = reader.Text(); break;
                case 3: payload = reader.Bytes().ToArray(); break;
                default: reader.Skip(); break;
            }
        }

        return new TtrpcRequest(service, method, payload);
    }

    /// <param name="timeout">For how long the caller waits; in nanoseconds on the wire.</param>
    public byte[] Write(TimeSpan timeout) => new WireWriter().Text(1, Service).Text(2, Method).Bytes(3, Payload).Signed(4, timeout.Ticks * 100).ToArray();
}

/// <summary>The data of a response frame: a status, or the answer.</summary>
internal sealed record TtrpcResponse(RpcCode Code, string Message, byte[] Payload)
{
    public static TtrpcResponse Read(ReadOnlySpan<byte> data)
    {
        RpcCode code = RpcCode.Ok;
        string message = "";
        byte[] payload = [];
        WireReader reader = new(data);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    WireReader status = new(reader.Bytes());
                    while (status.Next())
                    {
                        switch (status.Field)
                        {
                            case 1: code = (RpcCode)status.UnsignedInt(); break;
                            case 2: message = status.Text(); break;
                            default: status.Skip(); break;
                        }
                    }

                    break;
                case 2: payload = reader.Bytes().ToArray(); break;
                default: reader.Skip(); break;
            }
        }

        return new TtrpcResponse(code, message, payload);
    }

    public byte[] Write()
    {
        WireWriter writer = new();
        if (Code != RpcCode.Ok)
        {
            writer.Message(1, new WireWriter().Unsigned(1, (ulong)Code).Text(2, Message));
        }

        return writer.Bytes(2, Payload).ToArray();
    }
}

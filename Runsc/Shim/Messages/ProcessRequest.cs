using System;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Messages;

/// <summary>
/// The requests that name a container (field 1), mostly one of its processes (field 2; none: its first), and at most two numbers (fields 3 and 4):
/// State, Start, Delete, Wait, Kill (signal, all), ResizePty (width, height), CloseIO (standard input).
/// </summary>
internal sealed record ProcessRequest(string Id, string ExecId, ulong Third, ulong Fourth)
{
    public static ProcessRequest Read(ReadOnlySpan<byte> message)
    {
        string id = "", exec = "";
        ulong third = 0, fourth = 0;
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: id = reader.Text(); break;
                case 2 when reader.Type == WireType.Bytes: exec = reader.Text(); break;
                case 3: third = reader.Unsigned(); break;
                case 4: fourth = reader.Unsigned(); break;
                default: reader.Skip(); break;
            }
        }

        return new ProcessRequest(id, exec, third, fourth);
    }
}

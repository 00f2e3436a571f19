using System;
using Runsc.Shim.Io;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Messages;

/// <summary>Task/Exec. The specification is an OCI process in JSON.</summary>
internal sealed record ExecProcessRequest(string Id, string ExecId, StdioPaths Stdio, byte[] Spec)
{
    public static ExecProcessRequest Read(ReadOnlySpan<byte> message)
    {
        string id = "", exec = "", stdin = "", stdout = "", stderr = "";
        bool terminal = false;
        byte[] spec = [];
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: id = reader.Text(); break;
                case 2: exec = reader.Text(); break;
                case 3: terminal = reader.Flag(); break;
                case 4: stdin = reader.Text(); break;
                case 5: stdout = reader.Text(); break;
                case 6: stderr = reader.Text(); break;
                case 7: spec = AnyMessage.Read(reader.Bytes()).Value; break;
                default: reader.Skip(); break;
            }
        }

        return new ExecProcessRequest(id, exec, new StdioPaths(stdin, stdout, stderr, terminal), spec);
    }
}

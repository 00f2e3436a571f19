using System;
using System.Collections.Generic;
using Runsc.Shim.Io;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Messages;

/// <summary>Task/Create.</summary>
internal sealed record CreateTaskRequest(string Id, string Bundle, List<RootMount> Root, StdioPaths Stdio, string Checkpoint, AnyMessage? Options)
{
    public static CreateTaskRequest Read(ReadOnlySpan<byte> message)
    {
        string id = "", bundle = "", stdin = "", stdout = "", stderr = "", checkpoint = "";
        bool terminal = false;
        List<RootMount> root = [];
        AnyMessage? options = null;
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: id = reader.Text(); break;
                case 2: bundle = reader.Text(); break;
                case 3: root.Add(RootMount.Read(reader.Bytes())); break;
                case 4: terminal = reader.Flag(); break;
                case 5: stdin = reader.Text(); break;
                case 6: stdout = reader.Text(); break;
                case 7: stderr = reader.Text(); break;
                case 8: checkpoint = reader.Text(); break;
                case 10: options = AnyMessage.Read(reader.Bytes()); break;
                default: reader.Skip(); break;
            }
        }

        return new CreateTaskRequest(id, bundle, root, new StdioPaths(stdin, stdout, stderr, terminal), checkpoint, options);
    }
}

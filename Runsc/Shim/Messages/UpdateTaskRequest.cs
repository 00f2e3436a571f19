using System;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Messages;

/// <summary>Task/Update. The resources are those of the OCI specification, in JSON.</summary>
internal sealed record UpdateTaskRequest(string Id, byte[] Resources)
{
    public static UpdateTaskRequest Read(ReadOnlySpan<byte> message)
    {
        string id = "";
        byte[] resources = [];
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: id = reader.Text(); break;
                case 2: resources = AnyMessage.Read(reader.Bytes()).Value; break;
                default: reader.Skip(); break;
            }
        }

        return new UpdateTaskRequest(id, resources);
    }
}

using System;
using System.Collections.Generic;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Messages;

/// <summary>containerd.types.Mount: one layer of what becomes the root of a container.</summary>
internal sealed record RootMount(string Type, string Source, string Target, List<string> Options)
{
    public static RootMount Read(ReadOnlySpan<byte> message)
    {
        string type = "", source = "", target = "";
        List<string> options = [];
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: type = reader.Text(); break;
                case 2: source = reader.Text(); break;
                case 3: target = reader.Text(); break;
                case 4: options.Add(reader.Text()); break;
                default: reader.Skip(); break;
            }
        }

        return new RootMount(type, source, target, options);
    }

    public WireWriter Write()
    {
        WireWriter writer = new WireWriter().Text(1, Type).Text(2, Source).Text(3, Target);
        Options.ForEach(option => writer.Message(4, System.Text.Encoding.UTF8.GetBytes(option)));
        return writer;
    }
}

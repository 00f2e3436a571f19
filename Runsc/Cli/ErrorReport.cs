using System;
using System.Buffers;
using System.Globalization;
using System.IO;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Runsc.Cli;

/// <summary>A failure of a command: a line for the user on standard error, and one in the file of --log, of which callers read the last.</summary>
internal static class ErrorReport
{
    public static void Write(string message, string? logFile)
    {
        string line = message.ReplaceLineEndings(" ").Trim();
        Console.Error.WriteLine($"runsc: {line}");
        if (logFile is null)
        {
            return;
        }

        try
        {
            using FileStream log = new(logFile, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 1);
            log.Write(Format(line, DateTime.UtcNow));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"runsc: cannot write --log {logFile}: {error.Message}");
        }
    }

    /// <summary>{"level":"error","msg":…,"time":RFC 3339} and a line feed.</summary>
    internal static byte[] Format(string message, DateTime time)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("level", "error");
            writer.WriteString("msg", message);
            writer.WriteString("time", time.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
            writer.WriteEndObject();
        }

        return [.. buffer.WrittenSpan, .. "\n"u8];
    }
}

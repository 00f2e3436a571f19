using System;
using System.Runtime.CompilerServices;
using System.Text;

namespace Runsc.Common;

internal enum LogLevel
{
    Debug,
    Info,
    Warning,
    Error,
}

/// <summary>The log of this process. Nothing is formatted for a level that is off.</summary>
internal static class Log
{
    private static Action<LogLevel, string>? s_sink;
    private static volatile LogLevel s_level = LogLevel.Warning;

    public static bool IsDebug => s_level <= LogLevel.Debug && s_sink is not null;

    /// <summary>Where lines go from now on; the sink is called from any thread and does not throw.</summary>
    public static void Configure(LogLevel level, Action<LogLevel, string>? sink)
    {
        s_level = level;
        s_sink = sink;
    }

    public static bool IsOn(LogLevel level) => level >= s_level && s_sink is not null;

    public static void Debug(DebugText text) => Write(LogLevel.Debug, text.Text);

    public static void Info(string text) => Write(LogLevel.Info, text);

    public static void Warning(string text) => Write(LogLevel.Warning, text);

    public static void Error(string text) => Write(LogLevel.Error, text);

    private static void Write(LogLevel level, string? text)
    {
        if (text is not null && IsOn(level))
        {
            s_sink!(level, text);
        }
    }

    /// <summary>An interpolated string that is only built when debug lines are written.</summary>
    [InterpolatedStringHandler]
    internal ref struct DebugText
    {
        private readonly StringBuilder? _builder;

        public DebugText(int literalLength, int formattedCount, out bool enabled)
        {
            enabled = IsDebug;
            _builder = enabled ? new StringBuilder(literalLength + (formattedCount * 8)) : null;
        }

        public readonly string? Text => _builder?.ToString();

        public readonly void AppendLiteral(string value) => _builder!.Append(value);

        public readonly void AppendFormatted<T>(T value) => _builder!.Append(value);

        public readonly void AppendFormatted<T>(T value, string format)
            where T : IFormattable => _builder!.Append(value.ToString(format, null));
    }
}

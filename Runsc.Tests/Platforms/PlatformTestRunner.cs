using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Threading;
using Runsc.Tests.Benchmarks;
using Runsc.Tests.Kvm;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>
/// Runs the tests of the platforms without a test host, for a machine that has only the .NET runtime: <c>dotnet exec Runsc.Tests.dll [part of a name]</c>.
/// The status is the number of failures. A test that does not end is reported with what its threads do, and left behind.
/// </summary>
internal static class PlatformTestRunner
{
    /// <summary>For one test, in the time of an emulated machine that shares its processors.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private static int Main(string[] args)
    {
        if (args is ["--bench" or "--bench-systrap", ..])
        {
            PlatformBenchmark.Run(args[0] == "--bench", args.Length > 1 ? int.Parse(args[1]) : 10);
            return 0;
        }

        string part = args.Length > 0 ? args[0] : "";
        int passed = 0;
        int failed = 0;
        int skipped = 0;
        foreach ((Type type, MethodInfo method) in FindTests().Where(test => FullName(test.Type, test.Method).Contains(part, StringComparison.Ordinal)))
        {
            if (ReasonToSkip(type, method) is string reason)
            {
                skipped++;
                Console.WriteLine($"skip {FullName(type, method)}: {reason}");
                continue;
            }

            Console.WriteLine($"     {FullName(type, method)}");
            long start = Stopwatch.GetTimestamp();
            string? failure = Run(type, method);
            string seconds = $"{Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s";
            if (failure is null)
            {
                passed++;
                Console.WriteLine($"ok   {FullName(type, method)} ({seconds})");
            }
            else
            {
                failed++;
                Console.WriteLine($"FAIL {FullName(type, method)} ({seconds}): {failure}");
            }
        }

        Console.WriteLine($"{passed} passed, {failed} failed, {skipped} skipped");
        Console.Out.Flush();

        // Tests that were left behind must not hold the process.
        Environment.Exit(failed);
        return failed;
    }

    /// <summary>Why the test failed; null if it did not.</summary>
    private static string? Run(Type type, MethodInfo method)
    {
        string? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                object instance = Activator.CreateInstance(type)!;
                method.Invoke(instance, null);
                (instance as IDisposable)?.Dispose();
            }
            catch (TargetInvocationException e)
            {
                failure = $"{e.InnerException}";
            }
        })
        {
            IsBackground = true,
            Name = "test",
        };
        thread.Start();
        return thread.Join(s_limit) ? failure : $"does not end\n{DescribeThreads()}";
    }

    private static string DescribeThreads()
    {
        List<string> lines = [];
        foreach (string folder in Directory.GetDirectories("/proc/self/task"))
        {
            string[] values = [.. ((string[])["comm", "wchan", "syscall", "stack", "status"]).Select(file => Read(Path.Combine(folder, file)))];
            string state = values[4].Split('\n').FirstOrDefault(line => line.StartsWith("State:", StringComparison.Ordinal), "");
            lines.Add($"  {Path.GetFileName(folder)} {values[0]}: {state} {values[1]}, {values[2]} {values[3].Replace('\n', ' ')}");
        }

        return string.Join('\n', lines);
    }

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (IOException)
        {
            return "?";
        }
        catch (UnauthorizedAccessException)
        {
            return "?";
        }
    }

    private static IEnumerable<(Type Type, MethodInfo Method)> FindTests() =>
        typeof(PlatformTestRunner).Assembly.GetTypes()
            .Where(type => !type.IsAbstract && (type.Namespace == typeof(PlatformTestRunner).Namespace || type.Namespace == typeof(KvmFactAttribute).Namespace))
            .SelectMany(type => type.GetMethods().Select(method => (type, method)))
            .Where(test => test.method.GetCustomAttribute<EachPlatformAttribute>() != null || test.method.GetCustomAttribute<KvmFactAttribute>() != null)
            .OrderBy(test => FullName(test.type, test.method), StringComparer.Ordinal);

    private static string? ReasonToSkip(Type type, MethodInfo method) =>
        method.GetCustomAttribute<EachPlatformAttribute>() is { } each ? EachPlatformAttribute.ReasonToSkip(type.Name, each.NeedsRealProcessor)
        : method.GetCustomAttribute<FactAttribute>()!.Skip;

    private static string FullName(Type type, MethodInfo method) => $"{type.Name}.{method.Name}";
}

using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using Runsc.Tests.Benchmarks;
using Runsc.Tests.Kvm;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>
/// Runs the tests of the platforms without a test host, for a machine that has only the .NET runtime: <c>dotnet exec Runsc.Tests.dll [part of a name]</c>.
/// The status is the number of failures.
/// </summary>
internal static class PlatformTestRunner
{
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
            try
            {
                object instance = Activator.CreateInstance(type)!;
                method.Invoke(instance, null);
                (instance as IDisposable)?.Dispose();
                passed++;
                Console.WriteLine($"ok   {FullName(type, method)}");
            }
            catch (TargetInvocationException e)
            {
                failed++;
                Console.WriteLine($"FAIL {FullName(type, method)}: {e.InnerException}");
            }
        }

        Console.WriteLine($"{passed} passed, {failed} failed, {skipped} skipped");
        return failed;
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

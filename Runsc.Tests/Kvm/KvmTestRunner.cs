using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using Runsc.Tests.Benchmarks;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>
/// Runs the tests of this folder without a test host, for a machine that has only the .NET runtime: <c>dotnet exec Runsc.Tests.dll [part of a name]</c>.
/// The status is the number of failures.
/// </summary>
internal static class KvmTestRunner
{
    private static int Main(string[] args)
    {
        if (args is ["--bench", ..])
        {
            PlatformBenchmark.Run(args.Length > 1 ? int.Parse(args[1]) : 10);
            return 0;
        }

        string part = args.Length > 0 ? args[0] : "";
        int passed = 0;
        int failed = 0;
        int skipped = 0;
        foreach (MethodInfo method in FindTests().Where(test => FullName(test).Contains(part, StringComparison.Ordinal)))
        {
            if (method.GetCustomAttribute<FactAttribute>()!.Skip is string reason)
            {
                skipped++;
                Console.WriteLine($"skip {FullName(method)}: {reason}");
                continue;
            }

            Console.WriteLine($"     {FullName(method)}");
            try
            {
                object instance = Activator.CreateInstance(method.DeclaringType!)!;
                method.Invoke(instance, null);
                (instance as IDisposable)?.Dispose();
                passed++;
                Console.WriteLine($"ok   {FullName(method)}");
            }
            catch (TargetInvocationException e)
            {
                failed++;
                Console.WriteLine($"FAIL {FullName(method)}: {e.InnerException}");
            }
        }

        Console.WriteLine($"{passed} passed, {failed} failed, {skipped} skipped");
        return failed;
    }

    private static IEnumerable<MethodInfo> FindTests() =>
        typeof(KvmTestRunner).Assembly.GetTypes()
            .Where(type => type.Namespace == typeof(KvmTestRunner).Namespace)
            .SelectMany(type => type.GetMethods())
            .Where(method => method.GetCustomAttribute<KvmFactAttribute>() != null)
            .OrderBy(FullName, StringComparer.Ordinal);

    private static string FullName(MethodInfo method) => $"{method.DeclaringType!.Name}.{method.Name}";
}

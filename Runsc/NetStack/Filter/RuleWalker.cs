using System.Runtime.CompilerServices;

namespace Runsc.NetStack.Filter;

/// <summary>Takes a packet through the rules of a base chain.</summary>
internal static class RuleWalker
{
    /// <summary>Jumps within each other; rules that go deeper are refused when they are made.</summary>
    public const int MaxDepth = 64;

    /// <summary>Accept or Drop.</summary>
    public static Verdict Run(BaseChain chain, ref FilterContext context)
    {
        Places stack = default;
        int depth = 0;
        FilterRule[] rules = chain.Chain.Rules;
        int next = chain.Start;
        while (true)
        {
            context.Verdict = Verdict.Continue;
            if (next < rules.Length)
            {
                Evaluate(rules[next++], ref context);
            }
            else
            {
                context.Verdict = Verdict.Return;
            }

            switch (context.Verdict)
            {
                case Verdict.Accept or Verdict.Drop:
                    return context.Verdict;
                case Verdict.Return when depth == 0:
                    context.Verdict = Verdict.Continue;
                    Evaluate(chain.Policy, ref context);
                    return context.Verdict == Verdict.Accept ? Verdict.Accept : Verdict.Drop;
                case Verdict.Return:
                    depth--;
                    (rules, next) = (stack[depth].Rules, stack[depth].Next);
                    break;
                case Verdict.Jump when depth == MaxDepth:
                    return Verdict.Drop;
                case Verdict.Jump:
                    stack[depth++] = new Place { Rules = rules, Next = next };
                    (rules, next) = (context.Target!.Rules, context.TargetIndex);
                    break;
                case Verdict.Goto:
                    (rules, next) = (context.Target!.Rules, context.TargetIndex);
                    break;
            }
        }
    }

    private static void Evaluate(FilterRule rule, ref FilterContext context)
    {
        foreach (Expression expression in rule.Expressions)
        {
            expression.Evaluate(ref context);
            if (context.Verdict != Verdict.Continue)
            {
                return;
            }
        }
    }

    private struct Place
    {
        public FilterRule[] Rules;
        public int Next;
    }

    [InlineArray(MaxDepth)]
    private struct Places
    {
        private Place _first;
    }
}

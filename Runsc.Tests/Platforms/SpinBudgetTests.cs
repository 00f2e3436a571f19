using Runsc.Platform.Systrap;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>How long the systrap platform looks for an answer before it sleeps.</summary>
public sealed class SpinBudgetTests
{
    private const int Maximum = 1000;

    [Fact]
    public void Failures_MakeItShort()
    {
        SpinBudget budget = new(Maximum);
        int spent = 0;
        for (int i = 0; i < 1000; i++)
        {
            spent += budget.Rounds;
            budget.Failed();
        }

        Assert.InRange(spent, 0, 1000 * Maximum / 8);
    }

    [Fact]
    public void AfterManyFailures_OneLongTrialThatSucceeds_MakesItLongAgain()
    {
        SpinBudget budget = new(Maximum);
        for (int i = 0; i < 100 || budget.Rounds < Maximum; i++)
        {
            Assert.True(i < 1000, "there is no trial");
            budget.Failed();
        }

        budget.Succeeded();
        Assert.Equal(Maximum, budget.Rounds);
        budget.Failed();
        Assert.InRange(budget.Rounds, Maximum / 4, Maximum - 1);
    }
}

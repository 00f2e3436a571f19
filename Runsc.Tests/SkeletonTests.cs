using Xunit;
namespace Runsc.Tests;
public sealed class SkeletonTests { [Fact] public void Assembly_Loads_HasName() => Assert.Equal("runsc", typeof(Program).Assembly.GetName().Name); }

using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Runtime;

/// <summary>/proc/self/loginuid. No guest program: on the host the answer depends on who runs the tests.</summary>
[Collection("sandbox")]
public sealed class LoginUserTests
{
    [SandboxFact]
    public void LoginUser_IsSetOnce_AndChildrenHaveIt()
    {
        using Sandbox sandbox = new();
        CommandResult result = sandbox.Run(["sh", "-c", """
            show() { echo "$1 $(cat /proc/self/loginuid)"; }
            try() { if echo $1 2>/dev/null > /proc/$$/loginuid; then echo $1 taken; else echo $1 refused; fi; }
            truncate -s 0 /proc/$$/loginuid && echo truncated; show first; cat /proc/self/sessionid; echo
            try x; try -1; try 4294967296
            (echo 5 > /proc/$$/loginuid) 2>/dev/null || echo of another: refused
            try 1000; show child; test $(cat /proc/self/sessionid) -lt 1000 && echo session; try 1001; try 4294967295; show last
            """]);
        Assert.Equal(
            "truncated\nfirst 4294967295\n4294967295\nx refused\n-1 refused\n4294967296 refused\nof another: refused\n1000 taken\nchild 1000\nsession\n1001 refused\n4294967295 refused\nlast 1000\n",
            result.Output);
    }
}

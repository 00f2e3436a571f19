using System;
using System.IO;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Host.Syscalls;
using Runsc.Shim.Rpc;
using Xunit;

namespace Runsc.Tests.Unit.Shim;

public sealed class TtrpcTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runsc-ttrpc-").FullName;
    private readonly string _path;
    private readonly TaskCompletionSource _gate = new();

    public TtrpcTests()
    {
        _path = Path.Combine(_directory, "socket");
        int listener = HostPacketSocket.ListenStream(_path);
        Assert.True(listener >= 0);
        new Thread(() => new TtrpcServer(listener, Handle).Run()) { IsBackground = true }.Start();
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private async Task<byte[]> Handle(TtrpcRequest request)
    {
        switch (request.Method)
        {
            case "Echo":
                return request.Payload;
            case "Block":
                await _gate.Task.ConfigureAwait(false);
                return Encoding.UTF8.GetBytes("done");
            default:
                throw new RpcException(RpcCode.NotFound, $"{request.Service}/{request.Method} is not there");
        }
    }

    [Fact]
    public void Call_Answered_ReturnsThePayload()
    {
        using TtrpcClient client = new(_path);
        byte[] large = new byte[1 << 20];
        new Random(1).NextBytes(large);
        Assert.Equal([1, 2, 3], client.Call("s", "Echo", [1, 2, 3]));
        Assert.Empty(client.Call("s", "Echo", []));
        Assert.Equal(large, client.Call("s", "Echo", large));
    }

    [Fact]
    public void Call_Refused_HasCodeAndMessage()
    {
        using TtrpcClient client = new(_path);
        RpcException error = Assert.Throws<RpcException>(() => client.Call("service", "Method", []));
        Assert.Equal(RpcCode.NotFound, error.Code);
        Assert.Equal("service/Method is not there", error.Message);
        Assert.Equal([7], client.Call("s", "Echo", [7]));
    }

    [Fact]
    public void Connection_CallThatWaits_DoesNotHoldUpOthers()
    {
        int socket = HostPacketSocket.ConnectStream(_path);
        Assert.Equal(0, new TtrpcFrame(1, TtrpcFrame.Request, new TtrpcRequest("s", "Block", []).Write(TimeSpan.Zero)).Send(socket));
        Assert.Equal(0, new TtrpcFrame(3, TtrpcFrame.Request, new TtrpcRequest("s", "Echo", [5]).Write(TimeSpan.Zero)).Send(socket));
        Assert.True(TtrpcFrame.TryReceive(socket, out TtrpcFrame first));
        _gate.SetResult();
        Assert.True(TtrpcFrame.TryReceive(socket, out TtrpcFrame second));
        _ = HostFile.Close(socket);
        Assert.Equal((3u, TtrpcFrame.Response), (first.Stream, first.Type));
        Assert.Equal([5], TtrpcResponse.Read(first.Data).Payload);
        Assert.Equal(1u, second.Stream);
        Assert.Equal("done", Encoding.UTF8.GetString(TtrpcResponse.Read(second.Data).Payload));
    }

    [Theory]
    [InlineData("FFFFFFFF000000010100")]
    [InlineData("00000000000000020100")]
    [InlineData("00000000000000010200")]
    public void Connection_FrameThatIsNone_IsClosed(string header)
    {
        int socket = HostPacketSocket.ConnectStream(_path);
        byte[] bytes = Convert.FromHexString(header);
        Assert.Equal(bytes.Length, HostFile.Write(socket, bytes));
        Assert.Equal(0, HostFile.Read(socket, new byte[1]));
        _ = HostFile.Close(socket);
        using TtrpcClient client = new(_path);
        Assert.Equal([9], client.Call("s", "Echo", [9]));
    }

    [Fact]
    public void Call_BrokenRequest_IsAnsweredWithAnError()
    {
        int socket = HostPacketSocket.ConnectStream(_path);
        Assert.Equal(0, new TtrpcFrame(1, TtrpcFrame.Request, [0x0a, 0xff]).Send(socket));
        Assert.True(TtrpcFrame.TryReceive(socket, out TtrpcFrame frame));
        _ = HostFile.Close(socket);
        Assert.Equal(RpcCode.InvalidArgument, TtrpcResponse.Read(frame.Data).Code);
    }
}

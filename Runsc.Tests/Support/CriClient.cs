using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Runsc.Shim.Wire;

namespace Runsc.Tests.Support;

/// <summary>What a container of a pod is made with; the rest is what the CRI assumes.</summary>
internal sealed record CriContainer(string Name, params string[] Command)
{
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public string WorkingDirectory { get; init; } = "";

    /// <summary>Path inside, path of the host.</summary>
    public (string Inside, string Outside)? Mount { get; init; }

    /// <summary>A user id with a read-only root, two further groups, no new privileges and one capability.</summary>
    public int? ConfinedUser { get; init; }

    public long MemoryLimit { get; init; }

    /// <summary>The container sees the processes of the whole pod (shareProcessNamespace).</summary>
    public bool SharesProcesses { get; init; }
}

internal enum CriState
{
    Created = 0,
    Running = 1,
    Exited = 2,
}

internal sealed record CriStatus(CriState State, int ExitCode, string Reason);

/// <summary>The calls of the kubelet on a container runtime: runtime.v1.RuntimeService of the CRI, gRPC over a Unix socket.</summary>
internal sealed class CriClient : IDisposable
{
    private readonly HttpClient _http;

    public CriClient(string socket)
    {
        SocketsHttpHandler handler = new()
        {
            ConnectCallback = async (_, cancellation) =>
            {
                Socket connection = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation).ConfigureAwait(false);
                return new NetworkStream(connection, ownsSocket: true);
            },
        };
        _http = new HttpClient(handler) { BaseAddress = new Uri("http://localhost"), Timeout = TimeSpan.FromMinutes(4) };
    }

    public void Dispose() => _http.Dispose();

    /// <param name="name">Of the pod, and its host name.</param>
    /// <param name="logs">Folder of its containers' logs.</param>
    /// <param name="handler">Name of the runtime in containerd's configuration.</param>
    /// <param name="hostPort">Forwarded to port 80 of the pod; 0: none.</param>
    public CriPod RunPod(string name, string logs, string handler, int hostPort = 0)
    {
        WireWriter config = new WireWriter()
            .Message(1, new WireWriter().Text(1, name).Text(2, "uid-" + name).Text(3, "tests"))
            .Text(2, name)
            .Text(3, logs)
            .Message(4, new WireWriter().Text(1, "10.9.8.7").Text(2, "pods.test"))
            .Message(8, new WireWriter().Text(1, "/runsc-tests-pods").Message(3, Entry("net.ipv4.ip_unprivileged_port_start", "0")));
        if (hostPort != 0)
        {
            config.Message(5, new WireWriter().Signed(2, 80).Signed(3, hostPort));
        }

        string id = Field(Call("RunPodSandbox", new WireWriter().Message(1, config).Text(2, handler)), 1);
        return new CriPod(this, id, config);
    }

    internal byte[] Call(string method, WireWriter request)
    {
        byte[] framed = new byte[5 + request.Written.Length];
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), request.Written.Length);
        request.Written.CopyTo(framed.AsSpan(5));
        using HttpRequestMessage message = new(HttpMethod.Post, "/runtime.v1.RuntimeService/" + method)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(framed),
        };
        message.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        message.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));

        // HTTP/2 is there in asynchronous form only.
        using HttpResponseMessage response = Task.Run(() => _http.SendAsync(message)).GetAwaiter().GetResult();
        using MemoryStream body = new();
        response.Content.ReadAsStream().CopyTo(body);

        // A call that fails at once has its status among the headers.
        string Header(string name) => response.TrailingHeaders.TryGetValues(name, out IEnumerable<string>? values) || response.Headers.TryGetValues(name, out values) ? values.First() : "";
        return Header("grpc-status") == "0" ? body.ToArray()[5..] : throw new CriException($"{method}: {Uri.UnescapeDataString(Header("grpc-message"))}");
    }

    internal static WireWriter Entry(string key, string value) => new WireWriter().Text(1, key).Text(2, value);

    /// <summary>The first field of a number, of a message: a text.</summary>
    internal static string Field(ReadOnlySpan<byte> message, int number) => Encoding.UTF8.GetString(Part(message, number));

    internal static ReadOnlySpan<byte> Part(ReadOnlySpan<byte> message, int number)
    {
        WireReader reader = new(message);
        while (reader.Next())
        {
            if (reader.Field == number)
            {
                return reader.Bytes();
            }

            reader.Skip();
        }

        return default;
    }

    internal static long Number(ReadOnlySpan<byte> message, int number)
    {
        WireReader reader = new(message);
        while (reader.Next())
        {
            if (reader.Field == number)
            {
                return reader.Signed();
            }

            reader.Skip();
        }

        return 0;
    }
}

/// <summary>The runtime's refusal.</summary>
internal sealed class CriException(string message) : Exception(message);

/// <summary>A pod that runs; stopped and removed with all its containers at the end.</summary>
internal sealed class CriPod(CriClient client, string id, WireWriter config) : IDisposable
{
    public string Id => id;

    public string Address => CriClient.Field(CriClient.Part(CriClient.Part(Status, 1), 5), 1);

    public bool IsReady => CriClient.Number(CriClient.Part(Status, 1), 3) == 0;

    private byte[] Status => client.Call("PodSandboxStatus", new WireWriter().Text(1, id));

    /// <summary>The new container's id.</summary>
    public string Start(CriContainer container)
    {
        string created = Create(container);
        client.Call("StartContainer", new WireWriter().Text(1, created));
        return created;
    }

    public string Create(CriContainer container)
    {
        WireWriter wanted = new WireWriter().Message(1, new WireWriter().Text(1, container.Name)).Message(2, new WireWriter().Text(1, ContainerdFixture.Image));
        foreach (string word in container.Command)
        {
            wanted.Text(3, word);
        }

        wanted.Text(5, container.WorkingDirectory);
        foreach ((string key, string value) in container.Environment)
        {
            wanted.Message(6, CriClient.Entry(key, value));
        }

        if (container.Mount is { } mount)
        {
            wanted.Message(7, new WireWriter().Text(1, mount.Inside).Text(2, mount.Outside));
        }

        wanted.Text(11, container.Name + ".log");
        WireWriter security = new WireWriter().Message(3, new WireWriter().Signed(2, container.SharesProcesses ? 0 : 1));
        if (container.ConfinedUser is { } user)
        {
            security.Message(1, new WireWriter().Text(1, "NET_BIND_SERVICE").Text(2, "ALL")).Message(5, new WireWriter().Signed(1, user)).Flag(7, true).Flag(11, true);
            security.Signed(8, 5).Signed(8, 6).Message(15, new WireWriter());
        }

        wanted.Message(15, new WireWriter().Message(1, new WireWriter().Signed(4, container.MemoryLimit)).Message(2, security));
        return CriClient.Field(client.Call("CreateContainer", new WireWriter().Text(1, id).Message(2, wanted).Message(3, config)), 1);
    }

    /// <param name="container">Its id.</param>
    /// <param name="command">Program and arguments.</param>
    /// <param name="timeout">In seconds; 0: none.</param>
    public CommandResult Exec(string container, string[] command, int timeout = 0)
    {
        WireWriter request = new WireWriter().Text(1, container);
        foreach (string word in command)
        {
            request.Text(2, word);
        }

        byte[] response = client.Call("ExecSync", request.Signed(3, timeout));
        return new CommandResult((int)CriClient.Number(response, 3), CriClient.Field(response, 1), CriClient.Field(response, 2));
    }

    public CommandResult Shell(string container, string script) => Exec(container, ["sh", "-c", script]);

    public CriStatus StatusOf(string container)
    {
        ReadOnlySpan<byte> status = CriClient.Part(client.Call("ContainerStatus", new WireWriter().Text(1, container)), 1);
        return new CriStatus((CriState)CriClient.Number(status, 3), (int)CriClient.Number(status, 7), CriClient.Field(status, 10));
    }

    /// <summary>SIGTERM, and SIGKILL after some seconds.</summary>
    public void Stop(string container, int timeout) => client.Call("StopContainer", new WireWriter().Text(1, container).Signed(2, timeout));

    public void Remove(string container) => client.Call("RemoveContainer", new WireWriter().Text(1, container));

    /// <summary>A new limit of memory, in bytes.</summary>
    public void Update(string container, long limit) =>
        client.Call("UpdateContainerResources", new WireWriter().Text(1, container).Message(2, new WireWriter().Signed(4, limit)));

    /// <summary>Processor time in nanoseconds, and bytes of memory.</summary>
    public (long Processor, long Memory) Use(string container)
    {
        ReadOnlySpan<byte> stats = CriClient.Part(client.Call("ContainerStats", new WireWriter().Text(1, container)), 1);
        return (CriClient.Number(CriClient.Part(CriClient.Part(stats, 2), 2), 1), CriClient.Number(CriClient.Part(CriClient.Part(stats, 3), 2), 1));
    }

    public void Dispose()
    {
        client.Call("StopPodSandbox", new WireWriter().Text(1, id));
        client.Call("RemovePodSandbox", new WireWriter().Text(1, id));
    }
}

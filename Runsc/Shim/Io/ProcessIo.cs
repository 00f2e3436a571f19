using System;
using System.Collections.Generic;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Io;

/// <summary>
/// Standard input, output and error of one process: pipes (or a terminal) on its side, fifos, files or a program on containerd's, and pumps between them.
/// The life: made, given to the runtime, <see cref="Started"/>, drained, disposed. For one caller at a time.
/// </summary>
internal sealed class ProcessIo : IDisposable
{
    private readonly StdioPaths _paths;
    private readonly List<int> _childs = [];
    private readonly List<Pump> _outputs = [];
    private Pump? _inputPump;
    private readonly int _stop, _stopWriter;
    private readonly ConsoleListener? _listener;
    private int _inputHolder = -1;
    private int _inputWriter = -1, _outputReader = -1, _errorReader = -1;
    private int _master = -1;
    private bool _isDisposed;

    /// <exception cref="RunscException">A path cannot be opened.</exception>
    public ProcessIo(StdioPaths paths, Reaper reaper, string ns, string container)
    {
        _paths = paths;
        if (HostFile.Pipe(out _stop, out _stopWriter) < 0)
        {
            throw new RunscException("cannot make a pipe");
        }

        try
        {
            if (paths.Terminal)
            {
                _listener = new ConsoleListener();
                Input = Output = Error = Child(Open("/dev/null", Fcntl.O_RDWR));
                return;
            }

            Input = paths.Stdin.Length == 0 ? Child(Open("/dev/null", Fcntl.O_RDONLY)) : InputPipe();
            if (OutputTarget.Parse(paths.Stdout) is ("binary", _, Uri uri))
            {
                Output = OutputPipe(out int output);
                Error = OutputPipe(out int error);
                try
                {
                    LoggingProgram.Start(reaper, uri, ns, container, output, error);
                }
                finally
                {
                    _ = HostFile.Close(output);
                    _ = HostFile.Close(error);
                }
            }
            else
            {
                Output = paths.Stdout.Length == 0 ? Child(Open("/dev/null", Fcntl.O_WRONLY)) : OutputPipe(out _outputReader);
                Error = paths.Stderr.Length == 0 ? Child(Open("/dev/null", Fcntl.O_WRONLY)) : OutputPipe(out _errorReader);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The process's side.</summary>
    public int Input { get; }

    public int Output { get; }

    public int Error { get; }

    /// <summary>For --console-socket; null without a terminal.</summary>
    public string? ConsoleSocket => _listener?.Path;

    /// <summary>The runtime has the process's side: closes the copies here and begins to copy.</summary>
    /// <exception cref="RunscException">The terminal has not come, or a path cannot be opened.</exception>
    public void Started()
    {
        CloseChilds();
        if (_listener is not null)
        {
            _master = _listener.Receive();
            _listener.Dispose();
            if (_paths.Stdout.Length > 0)
            {
                int target = OutputTarget.Open(_paths.Stdout);
                _outputs.Add(new Pump(_master, target, _stop, () => HostFile.Close(target)));
            }

            StartInput(_master, () => { });
            return;
        }

        if (_inputWriter >= 0)
        {
            int writer = _inputWriter;
            _inputWriter = -1;
            StartInput(writer, () => HostFile.Close(writer));
        }

        StartOutput(ref _outputReader, _paths.Stdout);
        StartOutput(ref _errorReader, _paths.Stderr);
    }

    /// <summary>No more input than what is under way.</summary>
    public void CloseInput()
    {
        if (_inputHolder >= 0)
        {
            _ = HostFile.Close(_inputHolder);
            _inputHolder = -1;
        }
    }

    /// <exception cref="RunscException">There is no terminal.</exception>
    public void Resize(uint columns, uint rows)
    {
        if (_master < 0)
        {
            throw new RunscException("the process has no terminal");
        }

        _ = HostTerminal.SetSize(_master, new WindowSize { Columns = (ushort)Math.Min(columns, ushort.MaxValue), Rows = (ushort)Math.Min(rows, ushort.MaxValue) });
    }

    /// <summary>Waits until all output has been passed on, at most so long: someone may have left the fifos unread.</summary>
    public void Drain(int milliseconds)
    {
        long end = Environment.TickCount64 + milliseconds;
        foreach (Pump pump in _outputs)
        {
            _ = pump.Join((int)Math.Max(end - Environment.TickCount64, 0));
        }
    }

    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        CloseChilds();
        CloseInput();
        _ = HostFile.Close(_stopWriter);
        _inputPump?.Join(-1);
        _outputs.ForEach(pump => pump.Join(-1));
        _ = HostFile.Close(_stop);
        _listener?.Dispose();
        foreach (int fd in (int[])[_inputWriter, _outputReader, _errorReader, _master])
        {
            if (fd >= 0)
            {
                _ = HostFile.Close(fd);
            }
        }

        _inputWriter = _outputReader = _errorReader = _master = -1;
    }

    /// <summary>Copies from the fifo of standard input. It is held open here, so that a client that detaches does not end the input; <see cref="CloseInput"/> does.</summary>
    private void StartInput(int to, Action ended)
    {
        if (_paths.Stdin.Length == 0)
        {
            ended();
            return;
        }

        int fifo;
        try
        {
            fifo = Open(OutputTarget.Parse(_paths.Stdin).Path, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);
        }
        catch (RunscException)
        {
            ended();
            throw;
        }

        _inputHolder = HostFile.OpenAt(Fcntl.AT_FDCWD, OutputTarget.Name(OutputTarget.Parse(_paths.Stdin).Path), Fcntl.O_WRONLY | Fcntl.O_NONBLOCK | Fcntl.O_CLOEXEC);
        _inputPump = new Pump(fifo, to, _stop, () =>
        {
            _ = HostFile.Close(fifo);
            ended();
        });
    }

    private void StartOutput(ref int reader, string path)
    {
        if (reader < 0)
        {
            return;
        }

        int target = OutputTarget.Open(path), from = reader;
        reader = -1;
        _outputs.Add(new Pump(from, target, _stop, () =>
        {
            _ = HostFile.Close(from);
            _ = HostFile.Close(target);
        }));
    }

    private int InputPipe()
    {
        Pipe(out int read, out _inputWriter);
        return Child(read);
    }

    private int OutputPipe(out int reader)
    {
        Pipe(out reader, out int write);
        return Child(write);
    }

    private static void Pipe(out int read, out int write)
    {
        if (HostFile.Pipe(out read, out write) < 0)
        {
            throw new RunscException("cannot make a pipe");
        }
    }

    private static int Open(string path, int flags)
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, OutputTarget.Name(path), flags | Fcntl.O_CLOEXEC);
        return fd >= 0 ? fd : throw new RunscException($"cannot open {path}: errno {-fd}");
    }

    private int Child(int fd)
    {
        _childs.Add(fd);
        return fd;
    }

    private void CloseChilds()
    {
        _childs.ForEach(fd => HostFile.Close(fd));
        _childs.Clear();
    }
}

using System;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets;

/// <summary>What recvmsg(2) asks for, and what comes beside the data. Lives as long as the call, over its retries.</summary>
internal ref struct ReceiveRequest
{
    /// <summary>MSG_*.</summary>
    public int Flags;

    /// <summary>Room for the sender's address; empty when nobody asked.</summary>
    public Span<byte> Address;

    /// <summary>Whole length of the sender's sockaddr; 0: none.</summary>
    public int AddressLength;

    /// <summary>MSG_TRUNC, MSG_CTRUNC, MSG_OOB, MSG_ERRQUEUE, … of the result.</summary>
    public int ResultFlags;

    /// <summary>Control messages of the result, without SCM_RIGHTS, which come last.</summary>
    public ControlWriter Control;

    /// <summary>SCM_RIGHTS: a reference on each, for the caller.</summary>
    public FileDescription[]? Rights;

    /// <summary>A stream: nothing may be joined to what was received (descriptors, another sender, urgent data).</summary>
    public bool IsComplete;

    /// <summary>A stream: the sender of the first byte, when the receiver wants to know it.</summary>
    public UserCredentials? Sender;

    /// <summary>Bytes of a stream have come already.</summary>
    public bool HasData;

    /// <summary>There is nothing, and nothing will come: a reader that would wait gets the end instead.</summary>
    public bool IsShut;

    /// <summary>SO_PASSPIDFD: the process that a pidfd is wanted for.</summary>
    public bool WantsProcess;
    public ThreadGroup? SenderProcess;

    /// <summary>The receiver's user namespace, whose ids he is told.</summary>
    public UserNamespace? Users;

    /// <summary>read(2): what only recvmsg could be told is dropped, not passed on.</summary>
    public bool IsPlainRead;
}

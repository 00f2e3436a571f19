namespace Runsc.Shim.Rpc;

/// <summary>Codes of google.rpc.Status that are used here.</summary>
internal enum RpcCode
{
    Ok = 0,
    Unknown = 2,
    InvalidArgument = 3,
    NotFound = 5,
    AlreadyExists = 6,
    FailedPrecondition = 9,
    Unimplemented = 12,
}

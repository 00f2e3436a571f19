namespace Runsc.NetStack.Transport;

/// <summary>Tells whether a connection from this local port would be unique: a struct, so the search is one loop without calls.</summary>
internal interface IPortUse
{
    bool IsFree(ushort port);
}

namespace Runsc.NetStack.Core;

/// <summary>Hears of changes of the set-up, for netlink's notifications. Called under the stack's lock: queue, and act later.</summary>
internal interface IStackObserver
{
    void InterfaceChanged(NetworkInterface networkInterface, bool removed);

    void AddressChanged(InterfaceAddress address, bool removed);

    void RouteChanged(Network.RouteEntry route, bool removed);

    void NeighborChanged(Network.Neighbor neighbor, bool removed);
}

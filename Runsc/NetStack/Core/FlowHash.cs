using System.Numerics;

namespace Runsc.NetStack.Core;

/// <summary>A keyed hash (SipHash-1-3 over whole words) of addresses and ports: a peer that does not know the key cannot aim at one bucket.</summary>
internal readonly struct FlowHash(ulong key0, ulong key1)
{
    private readonly ulong _key0 = key0;
    private readonly ulong _key1 = key1;

    public ulong Hash(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort, uint extra = 0)
    {
        unchecked
        {
            State state = new(_key0, _key1);
            state.Word(local.High);
            state.Word(local.Low);
            state.Word(remote.High);
            state.Word(remote.Low);
            state.Word(((ulong)localPort << 48) | ((ulong)remotePort << 32) | extra);
            return state.Finish(40);
        }
    }

    public ulong Hash(in IpAddress address, uint extra)
    {
        State state = new(_key0, _key1);
        state.Word(address.High);
        state.Word(address.Low);
        state.Word(extra);
        return state.Finish(24);
    }

    private struct State(ulong key0, ulong key1)
    {
        private ulong _v0 = key0 ^ 0x736f6d6570736575;
        private ulong _v1 = key1 ^ 0x646f72616e646f6d;
        private ulong _v2 = key0 ^ 0x6c7967656e657261;
        private ulong _v3 = key1 ^ 0x7465646279746573;

        public void Word(ulong word)
        {
            _v3 ^= word;
            Round();
            _v0 ^= word;
        }

        public ulong Finish(ulong length)
        {
            unchecked
            {
                Word(length << 56);
                _v2 ^= 0xff;
                Round();
                Round();
                Round();
                return _v0 ^ _v1 ^ _v2 ^ _v3;
            }
        }

        private void Round()
        {
            unchecked
            {
                _v0 += _v1;
                _v1 = BitOperations.RotateLeft(_v1, 13) ^ _v0;
                _v0 = BitOperations.RotateLeft(_v0, 32);
                _v2 += _v3;
                _v3 = BitOperations.RotateLeft(_v3, 16) ^ _v2;
                _v0 += _v3;
                _v3 = BitOperations.RotateLeft(_v3, 21) ^ _v0;
                _v2 += _v1;
                _v1 = BitOperations.RotateLeft(_v1, 17) ^ _v2;
                _v2 = BitOperations.RotateLeft(_v2, 32);
            }
        }
    }
}

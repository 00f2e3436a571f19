using System;
using Runsc.Linux;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Named objects.</summary>
internal sealed partial class NftTransaction
{
    /// <summary>The expression that an object of a type is; empty for types that are not there.</summary>
    public static string ExpressionOf(uint type) => type switch
    {
        NFT_OBJECT_COUNTER => "counter",
        NFT_OBJECT_QUOTA => "quota",
        NFT_OBJECT_LIMIT => "limit",
        NFT_OBJECT_CONNLIMIT => "connlimit",
        _ => "",
    };

    private Errno NewObject(int family, int flags, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_OBJ_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_OBJ_TABLE);
        }

        string name = a.Text(NFTA_OBJ_NAME);
        uint type = a.U32(NFTA_OBJ_TYPE);
        if (!IsName(name) || !a.Has(NFTA_OBJ_TYPE) || !a.TryGet(NFTA_OBJ_DATA, out ReadOnlySpan<byte> data) || data.Length > MaximumExpressionData)
        {
            return Errno.EINVAL;
        }

        if (table.FindObject(name, type) is not null)
        {
            return (flags & Exclusive) != 0 ? Fail(Errno.EEXIST, NFTA_OBJ_NAME) : (flags & Replace) != 0 ? Errno.EOPNOTSUPP : Errno.None;
        }

        if (table.Objects.Count >= MaximumObjects)
        {
            return Errno.ENFILE;
        }

        string expression = ExpressionOf(type);
        if (expression.Length == 0)
        {
            // Helpers, time-outs and expectations of connections, marks, tunnels.
            return Fail(Errno.EOPNOTSUPP, NFTA_OBJ_TYPE);
        }

        NftCompiler compiler = new(table, new NftChain("", 0, new NetStack.Filter.RuleChain()), 0, _chains, _sets);
        Errno error = compiler.TryMake(expression, data, out NftExpression made);
        if (error == Errno.None)
        {
            table.Objects.Add(new NftObject(name, table.TakeHandle(), type, made, UserData(a, NFTA_OBJ_USERDATA)));
        }

        return error;
    }

    private Errno DeleteObject(int family, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_OBJ_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_OBJ_TABLE);
        }

        bool hasHandle = a.TryGetU64(NFTA_OBJ_HANDLE, out ulong handle);
        NftObject? found = hasHandle ? table.Objects.Find(one => one.Handle == handle) : table.FindObject(a.Text(NFTA_OBJ_NAME), a.U32(NFTA_OBJ_TYPE));
        int named = hasHandle ? NFTA_OBJ_HANDLE : NFTA_OBJ_NAME;
        if (found is null)
        {
            return Fail(Errno.ENOENT, named);
        }

        if (table.CountUses(found) > 0)
        {
            return Fail(Errno.EBUSY, named);
        }

        table.Objects.Remove(found);
        return Errno.None;
    }
}

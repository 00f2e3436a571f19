namespace Runsc.Tests.Platforms;

public sealed class KvmAddressSpaceTests : AddressSpaceTests
{
    private protected override bool UsesKvm => true;
}

public sealed class SystrapAddressSpaceTests : AddressSpaceTests
{
    private protected override bool UsesKvm => false;
}

public sealed class KvmContextTests : ContextTests
{
    private protected override bool UsesKvm => true;
}

public sealed class SystrapContextTests : ContextTests
{
    private protected override bool UsesKvm => false;
}

public sealed class KvmExceptionTests : ExceptionTests
{
    private protected override bool UsesKvm => true;
}

public sealed class SystrapExceptionTests : ExceptionTests
{
    private protected override bool UsesKvm => false;
}

public sealed class KvmInterruptTests : InterruptTests
{
    private protected override bool UsesKvm => true;
}

public sealed class SystrapInterruptTests : InterruptTests
{
    private protected override bool UsesKvm => false;
}

public sealed class KvmSystemCallTests : SystemCallTests
{
    private protected override bool UsesKvm => true;
}

public sealed class SystrapSystemCallTests : SystemCallTests
{
    private protected override bool UsesKvm => false;
}

public sealed class KvmHandOverAddressSpaceTests : AddressSpaceTests
{
    private protected override bool UsesKvm => true;

    private protected override bool HandsOver => true;
}

public sealed class KvmHandOverContextTests : ContextTests
{
    private protected override bool UsesKvm => true;

    private protected override bool HandsOver => true;
}

public sealed class KvmHandOverExceptionTests : ExceptionTests
{
    private protected override bool UsesKvm => true;

    private protected override bool HandsOver => true;
}

public sealed class KvmHandOverInterruptTests : InterruptTests
{
    private protected override bool UsesKvm => true;

    private protected override bool HandsOver => true;
}

public sealed class KvmHandOverSystemCallTests : SystemCallTests
{
    private protected override bool UsesKvm => true;

    private protected override bool HandsOver => true;
}

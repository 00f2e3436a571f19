namespace Runsc.Linux;

/// <summary>elf.h: elf(5), getauxval(3).</summary>
internal static class Elf
{
    public const int ELFCLASSNONE = 0;

    public const int ELFDATANONE = 0;

    public const int ELFCLASS32 = 1;

    public const int ELFDATA2LSB = 1;

    public const int ELFCLASS64 = 2;

    public const int ELFDATA2MSB = 2;

    public const int ELFCLASSNUM = 3;

    public const int ELFDATANUM = 3;

    public const int AT_NULL = 0;
    public const int AT_IGNORE = 1;
    public const int AT_EXECFD = 2;
    public const int AT_PHDR = 3;
    public const int AT_PHENT = 4;
    public const int AT_PHNUM = 5;
    public const int AT_PAGESZ = 6;
    public const int AT_BASE = 7;
    public const int AT_FLAGS = 8;
    public const int AT_ENTRY = 9;
    public const int AT_NOTELF = 10;
    public const int AT_UID = 11;
    public const int AT_EUID = 12;
    public const int AT_GID = 13;
    public const int AT_EGID = 14;
    public const int AT_PLATFORM = 15;
    public const int AT_HWCAP = 16;
    public const int AT_CLKTCK = 17;
    public const int AT_FPUCW = 18;
    public const int AT_DCACHEBSIZE = 19;
    public const int AT_ICACHEBSIZE = 20;
    public const int AT_UCACHEBSIZE = 21;
    public const int AT_IGNOREPPC = 22;
    public const int AT_SECURE = 23;
    public const int AT_BASE_PLATFORM = 24;
    public const int AT_RANDOM = 25;
    public const int AT_HWCAP2 = 26;
    public const int AT_RSEQ_FEATURE_SIZE = 27;
    public const int AT_RSEQ_ALIGN = 28;
    public const int AT_EXECFN = 31;
    public const int AT_SYSINFO = 32;
    public const int AT_SYSINFO_EHDR = 33;
    public const int AT_L1I_CACHESHAPE = 34;
    public const int AT_L1D_CACHESHAPE = 35;
    public const int AT_L2_CACHESHAPE = 36;
    public const int AT_L3_CACHESHAPE = 37;
    public const int AT_L1I_CACHESIZE = 40;
    public const int AT_L1I_CACHEGEOMETRY = 41;
    public const int AT_L1D_CACHESIZE = 42;
    public const int AT_L1D_CACHEGEOMETRY = 43;
    public const int AT_L2_CACHESIZE = 44;
    public const int AT_L2_CACHEGEOMETRY = 45;
    public const int AT_L3_CACHESIZE = 46;
    public const int AT_L3_CACHEGEOMETRY = 47;
    public const int AT_MINSIGSTKSZ = 51;

    public const int DT_NULL = 0;
    public const int DT_HASH = 4;
    public const int DT_STRTAB = 5;
    public const int DT_SYMTAB = 6;
    public const int DT_STRSZ = 10;
    public const int DT_SYMENT = 11;
    public const int DT_SONAME = 14;
    public const int DT_GNU_HASH = 0x6ffffef5;
    public const int DT_VERSYM = 0x6ffffff0;
    public const int DT_VERDEF = 0x6ffffffc;
    public const int DT_VERDEFNUM = 0x6ffffffd;

    public const int EI_MAG0 = 0;
    public const int EI_MAG1 = 1;
    public const int EI_MAG2 = 2;
    public const int EI_MAG3 = 3;
    public const int EI_CLASS = 4;
    public const int EI_DATA = 5;
    public const int EI_VERSION = 6;
    public const int EI_OSABI = 7;
    public const int EI_ABIVERSION = 8;
    public const int EI_PAD = 9;
    public const int EI_NIDENT = 16;

    public const int ELFOSABI_NONE = 0;
    public const int ELFOSABI_SYSV = 0;
    public const int ELFOSABI_GNU = 3;
    public const int ELFOSABI_LINUX = 3;

    public const int EM_386 = 3;
    public const int EM_X86_64 = 62;

    public const int ET_NONE = 0;
    public const int ET_REL = 1;
    public const int ET_EXEC = 2;
    public const int ET_DYN = 3;
    public const int ET_CORE = 4;
    public const int ET_NUM = 5;

    public const int EV_NONE = 0;
    public const int EV_CURRENT = 1;
    public const int EV_NUM = 2;

    public const int PF_X = 1;
    public const int PF_W = 2;
    public const int PF_R = 4;

    public const int PT_NULL = 0;
    public const int PT_LOAD = 1;
    public const int PT_DYNAMIC = 2;
    public const int PT_INTERP = 3;
    public const int PT_NOTE = 4;
    public const int PT_SHLIB = 5;
    public const int PT_PHDR = 6;
    public const int PT_TLS = 7;
    public const int PT_GNU_EH_FRAME = 0x6474e550;
    public const int PT_GNU_STACK = 0x6474e551;
    public const int PT_GNU_RELRO = 0x6474e552;
    public const int PT_GNU_PROPERTY = 0x6474e553;

    public const int SHT_NULL = 0;
    public const int SHT_PROGBITS = 1;
    public const int SHT_SYMTAB = 2;
    public const int SHT_STRTAB = 3;
    public const int SHT_RELA = 4;
    public const int SHT_HASH = 5;
    public const int SHT_DYNAMIC = 6;
    public const int SHT_NOTE = 7;
    public const int SHT_NOBITS = 8;
    public const int SHT_REL = 9;
    public const int SHT_SHLIB = 10;
    public const int SHT_DYNSYM = 11;
    public const int SHT_INIT_ARRAY = 14;
    public const int SHT_FINI_ARRAY = 15;
    public const int SHT_PREINIT_ARRAY = 16;
    public const int SHT_GROUP = 17;
    public const int SHT_SYMTAB_SHNDX = 18;
    public const int SHT_RELR = 19;
    public const int SHT_NUM = 20;
    public const int SHT_LOOS = 0x60000000;
    public const int SHT_GNU_ATTRIBUTES = 0x6ffffff5;
    public const int SHT_GNU_HASH = 0x6ffffff6;
    public const int SHT_GNU_LIBLIST = 0x6ffffff7;
    public const int SHT_CHECKSUM = 0x6ffffff8;
    public const int SHT_LOSUNW = 0x6ffffffa;
    public const int SHT_SUNW_move = 0x6ffffffa;
    public const int SHT_SUNW_COMDAT = 0x6ffffffb;
    public const int SHT_SUNW_syminfo = 0x6ffffffc;
    public const int SHT_GNU_verdef = 0x6ffffffd;
    public const int SHT_GNU_verneed = 0x6ffffffe;
    public const int SHT_GNU_versym = 0x6fffffff;
    public const int SHT_HIOS = 0x6fffffff;
    public const int SHT_HISUNW = 0x6fffffff;
    public const int SHT_IA_64_EXT = 0x70000000;
    public const int SHT_LOPROC = 0x70000000;
    public const int SHT_MIPS_LIBLIST = 0x70000000;
    public const int SHT_PARISC_EXT = 0x70000000;
    public const int SHT_ALPHA_DEBUG = 0x70000001;
    public const int SHT_ARM_EXIDX = 0x70000001;
    public const int SHT_CSKY_ATTRIBUTES = 0x70000001;
    public const int SHT_IA_64_UNWIND = 0x70000001;
    public const int SHT_MIPS_MSYM = 0x70000001;
    public const int SHT_PARISC_UNWIND = 0x70000001;
    public const int SHT_X86_64_UNWIND = 0x70000001;
    public const int SHT_ALPHA_REGINFO = 0x70000002;
    public const int SHT_ARM_PREEMPTMAP = 0x70000002;
    public const int SHT_MIPS_CONFLICT = 0x70000002;
    public const int SHT_PARISC_DOC = 0x70000002;
    public const int SHT_ARM_ATTRIBUTES = 0x70000003;
    public const int SHT_MIPS_GPTAB = 0x70000003;
    public const int SHT_RISCV_ATTRIBUTES = 0x70000003;
    public const int SHT_MIPS_UCODE = 0x70000004;
    public const int SHT_MIPS_DEBUG = 0x70000005;
    public const int SHT_MIPS_REGINFO = 0x70000006;
    public const int SHT_MIPS_PACKAGE = 0x70000007;
    public const int SHT_MIPS_PACKSYM = 0x70000008;
    public const int SHT_MIPS_RELD = 0x70000009;
    public const int SHT_MIPS_IFACE = 0x7000000b;
    public const int SHT_MIPS_CONTENT = 0x7000000c;
    public const int SHT_MIPS_OPTIONS = 0x7000000d;
    public const int SHT_MIPS_SHDR = 0x70000010;
    public const int SHT_MIPS_FDESC = 0x70000011;
    public const int SHT_MIPS_EXTSYM = 0x70000012;
    public const int SHT_MIPS_DENSE = 0x70000013;
    public const int SHT_MIPS_PDESC = 0x70000014;
    public const int SHT_MIPS_LOCSYM = 0x70000015;
    public const int SHT_MIPS_AUXSYM = 0x70000016;
    public const int SHT_MIPS_OPTSYM = 0x70000017;
    public const int SHT_MIPS_LOCSTR = 0x70000018;
    public const int SHT_MIPS_LINE = 0x70000019;
    public const int SHT_MIPS_RFDESC = 0x7000001a;
    public const int SHT_MIPS_DELTASYM = 0x7000001b;
    public const int SHT_MIPS_DELTAINST = 0x7000001c;
    public const int SHT_MIPS_DELTACLASS = 0x7000001d;
    public const int SHT_MIPS_DWARF = 0x7000001e;
    public const int SHT_MIPS_DELTADECL = 0x7000001f;
    public const int SHT_MIPS_SYMBOL_LIB = 0x70000020;
    public const int SHT_MIPS_EVENTS = 0x70000021;
    public const int SHT_MIPS_TRANSLATE = 0x70000022;
    public const int SHT_MIPS_PIXIE = 0x70000023;
    public const int SHT_MIPS_XLATE = 0x70000024;
    public const int SHT_MIPS_XLATE_DEBUG = 0x70000025;
    public const int SHT_MIPS_WHIRL = 0x70000026;
    public const int SHT_MIPS_EH_REGION = 0x70000027;
    public const int SHT_MIPS_XLATE_OLD = 0x70000028;
    public const int SHT_MIPS_PDR_EXCEPTION = 0x70000029;
    public const int SHT_MIPS_XHASH = 0x7000002b;
    public const int SHT_HIPROC = 0x7fffffff;
    public const uint SHT_LOUSER = 0x80000000;
    public const uint SHT_HIUSER = 0x8fffffff;

    public const int STB_LOCAL = 0;
    public const int STB_GLOBAL = 1;
    public const int STB_WEAK = 2;
    public const int STB_NUM = 3;
    public const int STB_GNU_UNIQUE = 10;
    public const int STB_LOOS = 10;
    public const int STB_HIOS = 12;
    public const int STB_LOPROC = 13;
    public const int STB_MIPS_SPLIT_COMMON = 13;
    public const int STB_HIPROC = 15;

    public const int STT_NOTYPE = 0;
    public const int STT_OBJECT = 1;
    public const int STT_FUNC = 2;
    public const int STT_SECTION = 3;
    public const int STT_FILE = 4;
    public const int STT_COMMON = 5;
    public const int STT_TLS = 6;
    public const int STT_NUM = 7;
    public const int STT_GNU_IFUNC = 10;
    public const int STT_LOOS = 10;
    public const int STT_HP_OPAQUE = 11;
    public const int STT_HIOS = 12;
    public const int STT_HP_STUB = 12;
    public const int STT_ARM_TFUNC = 13;
    public const int STT_LOPROC = 13;
    public const int STT_PARISC_MILLICODE = 13;
    public const int STT_SPARC_REGISTER = 13;
    public const int STT_ARM_16BIT = 15;
    public const int STT_HIPROC = 15;
}

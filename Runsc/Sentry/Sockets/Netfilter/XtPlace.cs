namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>The rule that an extension is to be a part of, as far as extensions ask for it.</summary>
/// <param name="IsV4">The family.</param>
/// <param name="Table">The table's name.</param>
/// <param name="Hooks">From which hooks the rule may be reached: a bit each.</param>
/// <param name="Protocol">The protocol that the rule is for, or 0.</param>
internal readonly record struct XtPlace(bool IsV4, string Table, int Hooks, byte Protocol);

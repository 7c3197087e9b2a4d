"""The contracts of a report. A contract states how an implementation computes: its dtype, and its
choices such as ReLU's slope at 0.
"""

from collections.abc import Mapping


def group_contracts(contracts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the implementations that have the same contract, by the contract's text.

    `contracts` has the contract by the implementation's name. A contract begins with a dtype; the
    same dtype at the end of a name is removed.
    """
    groups: dict[str, list[str]] = {}
    for name, contract in contracts.items():
        dtype = contract.partition(",")[0]
        groups.setdefault(contract, []).append(name.removesuffix(f" {dtype}"))
    return {contract: list(dict.fromkeys(names)) for contract, names in groups.items()}

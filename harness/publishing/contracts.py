"""The contracts of a report: what each implementation promises of its arithmetic."""

from collections.abc import Mapping


def group_contracts(contracts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that each contract holds for, by the contract.

    A contract begins with a dtype; a name loses this dtype at its end.
    """
    groups: dict[str, list[str]] = {}
    for name, contract in contracts.items():
        dtype = contract.partition(",")[0]
        groups.setdefault(contract, []).append(name.removesuffix(f" {dtype}"))
    return {contract: list(dict.fromkeys(names)) for contract, names in groups.items()}

"""The contracts of a report: the implementations' declared properties of their arithmetic."""

from collections.abc import Mapping


def group_contracts(contracts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the implementations that share a contract, by the contract.

    A contract begins with a dtype. The same dtype at the end of a name is removed.
    """
    groups: dict[str, list[str]] = {}
    for name, contract in contracts.items():
        dtype = contract.partition(",")[0]
        groups.setdefault(contract, []).append(name.removesuffix(f" {dtype}"))
    return {contract: list(dict.fromkeys(names)) for contract, names in groups.items()}

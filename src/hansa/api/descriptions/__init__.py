"""The descriptions of what is no TM Forum API.

document     the OpenAPI document, made of operations and of the records with which handlers answer
operations   what each path of `/league/v1` does
field_texts  what fields mean whose records do not say it
streams      the AsyncAPI document of what this marketplace sends
"""

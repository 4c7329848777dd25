"""A server that gives Windows sessions to other machines over HTTP (extra ``winbridge[gateway]``)."""

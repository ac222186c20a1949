--- Runs `handle(prefix, first, last)` for each shard of the call. KEYS[g] is the shard's key prefix; its arguments are preceded by their
--- number. A group that fails answers "!message", and the others still run (B1). The guard of a cluster (cluster.ts) has no arguments.
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end

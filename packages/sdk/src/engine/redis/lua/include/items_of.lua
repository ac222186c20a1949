--- The items of a list (list-text.ts) as JSON texts; nil when the text is no list. An absent value is an empty one.
local function items_of(text)
  local items, at = {}, 2
  if not text or text == "[]" then return items end
  if sub(text, 1, 1) ~= "[" then return nil end
  while true do
    if sub(text, at, at) ~= '"' then return nil end
    local from = at
    at = at + 1
    while true do
      local hit = find(text, '["\\]', at)
      if not hit then return nil end
      at = hit + 1
      if sub(text, hit, hit) == '"' then break end
      at = at + 1
    end
    items[#items + 1] = sub(text, from, at - 1)
    local follows = sub(text, at, at)
    at = at + 1
    if follows == "]" then return at > #text and items or nil end
    if follows ~= "," then return nil end
  end
end

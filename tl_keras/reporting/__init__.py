"""What a person looks at: pages of HTML that need no network, with their figures."""
